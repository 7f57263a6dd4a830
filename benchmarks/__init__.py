"""How fast, how lean and how exact the engine is, beside the formulas as a paper writes them."""

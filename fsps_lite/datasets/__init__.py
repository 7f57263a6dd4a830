"""Data that priors are made of: digits, letters, patches of photographs, and files of your own."""

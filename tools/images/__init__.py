"""What the chapter *From toys to images* has stored: samplers on held-out digits, and atoms."""

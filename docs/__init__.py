"""Pages of the documentation, and the program that makes two of them."""

"""How a label set becomes targets of a multi-class model, and back."""

"""The stages: one thin entry point each, from files to files."""

"""Data to tensors and back: one file per modality."""

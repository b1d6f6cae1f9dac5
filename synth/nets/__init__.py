"""Backbones and representations that several families share: tensors in, tensors out."""

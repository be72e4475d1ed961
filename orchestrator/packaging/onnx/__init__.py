"""Compile a fitted pipeline for ONNX Runtime, and test that it answers alike."""

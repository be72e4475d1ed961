"""Compilation of a fitted pipeline for ONNX Runtime, and the test that both give the same answers."""

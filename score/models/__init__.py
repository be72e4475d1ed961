"""Models behind one interface: the pickled pipeline, and the compiled one on ONNX Runtime."""

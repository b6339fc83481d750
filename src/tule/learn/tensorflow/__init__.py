"""Models as TensorFlow SavedModels, made of the graphs of ``learn.onnx`` by a process that has TensorFlow."""

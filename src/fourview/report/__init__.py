"""ExamPrediction or Result -> JSON, HTML and pictures. No torch, no model."""

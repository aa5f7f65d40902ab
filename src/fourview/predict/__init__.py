"""Exam -> ExamPrediction: joins preprocess, model and localise, for one exam or many."""

"""One published loss per file: functions of tensors."""

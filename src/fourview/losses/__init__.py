"""One published loss a file: functions of tensors."""

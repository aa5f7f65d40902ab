"""Heatmaps or scored regions in processed pixels -> findings in stored pixels. No torch."""

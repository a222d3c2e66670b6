"""What becomes of ended spans: records, files, and what is sent."""

from spanwise.export.masking import MaskingLogRecordExporter, MaskingSpanExporter

__all__ = ["MaskingLogRecordExporter", "MaskingSpanExporter"]

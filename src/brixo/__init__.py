"""The face of the Brixo SDK over Spanwise: `from brixo import Brixo`."""

from brixo._brixo import Brixo

__all__ = ["Brixo"]

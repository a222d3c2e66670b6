"""Reading the local files back: what `spanwise show` prints."""

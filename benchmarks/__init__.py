"""What Spanwise costs, beside a decorator written by hand and beside other packages."""

input = "Reset my password"

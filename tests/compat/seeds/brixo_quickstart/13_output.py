output = "I've sent you a password reset link."

"""What a user meets first: an installation from the wheel alone, and every command and block of the pages."""

"""Remote write, the sending side: from columns of the log to requests, without a socket in sight."""

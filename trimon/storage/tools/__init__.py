"""What `trimon tsdb` does: functions over a data directory that give lines of text. No server may be needed."""

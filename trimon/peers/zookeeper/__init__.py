"""A client of ZooKeeper that reads and watches."""

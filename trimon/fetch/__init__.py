"""HTTP requests to the outside: targets and discovery sources. The rest of the program knows only `Fetch`."""

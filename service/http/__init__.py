"""One module a resource: HTTP takes facts in and gives views out. Resources do not know each other."""

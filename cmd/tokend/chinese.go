package main

// chinese has the Chinese texts of the command line, by the English ones.
var chinese = map[string]string{}

package doctor

// chinese has the Chinese texts by the English ones.
var chinese = map[string]string{}

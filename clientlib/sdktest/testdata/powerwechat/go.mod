module github.com/ArtisanCloud/PowerWeChat/v3

go 1.26.0

require github.com/ArtisanCloud/PowerLibs/v3 v3.2.6

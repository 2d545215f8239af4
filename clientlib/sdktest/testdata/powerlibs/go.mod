module github.com/ArtisanCloud/PowerLibs/v3

go 1.26.0

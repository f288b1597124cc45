module riti/pause

go 1.24

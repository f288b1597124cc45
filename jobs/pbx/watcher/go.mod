module riti/watcher

go 1.24

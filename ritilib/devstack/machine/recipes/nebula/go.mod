module riti/recipes/nebula

go 1.25

require github.com/slackhq/nebula v1.10.3

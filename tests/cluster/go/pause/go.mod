module fireworks.example/cluster/pause

go 1.26.0

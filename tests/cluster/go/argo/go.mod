// Argo Workflows as a module of ours: its own replaces one of its requirements, so `go install` refuses it.
module fireworks.example/cluster/argo

go 1.26.0

require github.com/argoproj/argo-workflows/v3 v3.7.18

replace github.com/olekukonko/tablewriter => github.com/olekukonko/tablewriter v0.0.5

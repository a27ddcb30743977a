module lotse.invalid/kubelogin

go 1.26.4

require github.com/int128/kubelogin v1.36.3

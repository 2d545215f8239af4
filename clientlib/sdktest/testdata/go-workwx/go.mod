module github.com/xen0n/go-workwx

go 1.26.0

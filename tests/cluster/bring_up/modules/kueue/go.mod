module finetune.dev/testcluster/kueue

go 1.26.8

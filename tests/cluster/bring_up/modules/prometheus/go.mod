module finetune.dev/testcluster/prometheus

go 1.26.8

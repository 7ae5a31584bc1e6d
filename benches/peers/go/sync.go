package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// syncPeer is client-go's part of benches/sync: a dynamic informer with one handler. What it says on its standard
// output is in benches/sync/link.rs.
func syncPeer() {
	began := time.Now()
	objects, err := strconv.Atoi(os.Getenv("KUBE_INFORMER_SYNC_OBJECTS"))
	must(err)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	client, err := dynamic.NewForConfig(config)
	must(err)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := factory.ForResource(groupVersion.WithResource("network-attachment-definitions")).Informer()
	var lock sync.Mutex
	var seen []string
	handler := toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(_, object any) {
		line := fmt.Sprintf("%s %d", object.(metav1.Object).GetResourceVersion(), time.Now().UnixNano())
		lock.Lock()
		seen = append(seen, line)
		lock.Unlock()
	}}
	_, err = informer.AddEventHandler(handler)
	must(err)
	ctx := context.Background()
	factory.Start(ctx.Done())
	check(toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced), "it syncs")
	check(len(informer.GetStore().ListKeys()) == objects, "all objects")
	synced := time.Since(began).Seconds()
	time.Sleep(5 * time.Second)
	fmt.Printf("synced %f %f %d %d %d\n", synced, cpuTime().Seconds(), resident("VmHWM:"), resident("VmRSS:"), resident("RssAnon:"))
	_, err = io.ReadAll(os.Stdin)
	must(err)
	cpu := cpuTime().Seconds()
	out := bufio.NewWriter(os.Stdout)
	lock.Lock()
	for _, line := range seen {
		fmt.Fprintln(out, line)
	}
	lock.Unlock()
	fmt.Fprintf(out, "done %f\n", cpu)
	must(out.Flush())
}

// resident returns a line of the process's status, in KiB.
func resident(name string) int {
	status, err := os.ReadFile("/proc/self/status")
	must(err)
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, name); found {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			must(err)
			return kib
		}
	}
	panic("no such line: " + name)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

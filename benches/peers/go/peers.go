package main

import (
	"context"
	"net/http"
	"time"

	"github.com/cilium/statedb"
	"github.com/cilium/statedb/index"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// === client-go: the store of its informers ===

type threadSafe struct{ store toolscache.ThreadSafeStore }

func indexers(count int) toolscache.Indexers {
	all := toolscache.Indexers{}
	for _, index := range indexes[:count] {
		all[index.name] = func(object any) ([]string, error) { return []string{index.of(object.(*Nad))}, nil }
	}
	return all
}

func newThreadSafe(nads []*Nad, count int) *threadSafe {
	store := toolscache.NewThreadSafeStore(indexers(count), toolscache.Indices{})
	for _, nad := range nads {
		store.Add(nad.key(), nad)
	}
	return &threadSafe{store}
}

func (t *threadSafe) update(nads []*Nad, _ int) {
	for _, nad := range nads {
		t.store.Update(nad.key(), nad)
	}
}

func (t *threadSafe) replace(nads []*Nad) {
	items := make(map[string]any, len(nads))
	for _, nad := range nads {
		items[nad.key()] = nad
	}
	t.store.Replace(items, "1")
}

func (t *threadSafe) get(namespace, name string) int {
	nad, found := t.store.Get(namespace + "/" + name)
	if !found {
		return 0
	}
	return len(nad.(*Nad).Spec.Config)
}

func (t *threadSafe) index(provider string) int {
	nads, err := t.store.ByIndex("provider", provider)
	if err != nil {
		panic(err)
	}
	sum := 0
	for _, nad := range nads {
		sum += len(nad.(*Nad).Spec.Config)
	}
	return sum
}

// === statedb ===

type table struct {
	db         *statedb.DB
	rows       statedb.RWTable[*Nad]
	primary    statedb.Index[*Nad, string]
	byProvider statedb.Index[*Nad, string]
}

func newTable(nads []*Nad, count int) *table {
	t := &table{db: statedb.New()}
	t.primary = statedb.Index[*Nad, string]{
		Name:       "key",
		FromObject: func(nad *Nad) index.KeySet { return index.NewKeySet(index.String(nad.key())) },
		FromKey:    index.String,
		Unique:     true,
	}
	var secondary []statedb.Indexer[*Nad]
	for _, of := range indexes[:count] {
		by := statedb.Index[*Nad, string]{
			Name:       of.name,
			FromObject: func(nad *Nad) index.KeySet { return index.NewKeySet(index.String(of.of(nad))) },
			FromKey:    index.String,
		}
		if of.name == "provider" {
			t.byProvider = by
		}
		secondary = append(secondary, by)
	}
	var err error
	if t.rows, err = statedb.NewTable(t.db, "nads", t.primary, secondary...); err != nil {
		panic(err)
	}
	t.update(nads, len(nads))
	return t
}

// update commits after each batch.
func (t *table) update(nads []*Nad, batch int) {
	for begin := 0; begin < len(nads); begin += batch {
		txn := t.db.WriteTxn(t.rows)
		for _, nad := range nads[begin : begin+batch] {
			if _, _, err := t.rows.Insert(txn, nad); err != nil {
				panic(err)
			}
		}
		txn.Commit()
	}
}

// replace is a list without deletions.
func (t *table) replace(nads []*Nad) { t.update(nads, len(nads)) }

func (t *table) get(namespace, name string) int {
	nad, _, found := t.rows.Get(t.db.ReadTxn(), t.primary.Query(namespace+"/"+name))
	if !found {
		return 0
	}
	return len(nad.Spec.Config)
}

func (t *table) index(provider string) int {
	sum := 0
	for nad := range t.rows.List(t.db.ReadTxn(), t.byProvider.Query(provider)) {
		sum += len(nad.Spec.Config)
	}
	return sum
}

// === informers of lists and watches in memory ===

// source answers lists, and has one watch.
type source struct {
	nads    []*Nad
	changes chan watch.Event
}

func newSource(nads []*Nad) *source { return &source{nads, make(chan watch.Event, 1024)} }

func (s *source) listerWatcher() toolscache.ListerWatcher {
	lw := &toolscache.ListWatch{
		ListFunc: func(metav1.ListOptions) (runtime.Object, error) {
			list := &NadList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: make([]Nad, len(s.nads))}
			for i, nad := range s.nads {
				list.Items[i] = *nad
			}
			return list, nil
		},
		WatchFunc: func(metav1.ListOptions) (watch.Interface, error) {
			return watch.NewProxyWatcher(s.changes), nil
		},
	}
	return toolscache.ToListWatcherWithWatchListSemantics(lw, noWatchList{})
}

// noWatchList says that the watch has no initial events.
type noWatchList struct{}

func (noWatchList) IsWatchListSemanticsUnSupported() bool { return true }

func newInformer(nads []*Nad) (*source, toolscache.SharedIndexInformer) {
	s := newSource(nads)
	return s, toolscache.NewSharedIndexInformer(s.listerWatcher(), &Nad{}, 0, indexers(0))
}

// === controller-runtime: the reader of its cache ===

type reader struct{ cache crcache.Cache }

func newReader(nads []*Nad) *reader {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(groupVersion.WithKind("NetworkAttachmentDefinition"), &Nad{})
	scheme.AddKnownTypeWithName(groupVersion.WithKind("NetworkAttachmentDefinitionList"), &NadList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(groupVersion.WithKind("NetworkAttachmentDefinition"), meta.RESTScopeNamespace)
	s := newSource(nads)
	cache, err := crcache.New(&rest.Config{Host: "http://127.0.0.1:1"}, crcache.Options{
		Scheme:     scheme,
		Mapper:     mapper,
		HTTPClient: http.DefaultClient,
		NewInformer: func(_ toolscache.ListerWatcher, object runtime.Object, _ time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
			return toolscache.NewSharedIndexInformer(s.listerWatcher(), object, 0, indexers)
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	byProvider := func(object client.Object) []string { return []string{indexes[0].of(object.(*Nad))} }
	if err := cache.IndexField(ctx, &Nad{}, "provider", byProvider); err != nil {
		panic(err)
	}
	go func() {
		if err := cache.Start(ctx); err != nil {
			panic(err)
		}
	}()
	if !cache.WaitForCacheSync(ctx) {
		panic("no sync")
	}
	return &reader{cache}
}

func (r *reader) get(namespace, name string) int {
	var nad Nad
	if err := r.cache.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, &nad); err != nil {
		return 0
	}
	return len(nad.Spec.Config)
}

func (r *reader) index(provider string) int {
	var list NadList
	if err := r.cache.List(context.Background(), &list, client.MatchingFields{"provider": provider}); err != nil {
		panic(err)
	}
	sum := 0
	for i := range list.Items {
		sum += len(list.Items[i].Spec.Config)
	}
	return sum
}

package main

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The objects of benches/nads.rs: the same keys, texts and order.

const (
	hits       = 64
	configSize = 181
	provider   = "example.com/provider"
	resource   = "k8s.v1.cni.cncf.io/resourceName"
	team       = "team"
)

var groupVersion = schema.GroupVersion{Group: "k8s.cni.cncf.io", Version: "v1"}

// Nad is a NetworkAttachmentDefinition, whole.
type Nad struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              NadSpec `json:"spec"`
}

// NadSpec has the text that look-ups read.
type NadSpec struct {
	Config string `json:"config"`
}

// NadList is a list of them.
type NadList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Nad `json:"items"`
}

func (n *Nad) deepCopy() *Nad {
	copied := *n
	n.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

// DeepCopyObject implements runtime.Object.
func (n *Nad) DeepCopyObject() runtime.Object { return n.deepCopy() }

// DeepCopyObject implements runtime.Object.
func (l *NadList) DeepCopyObject() runtime.Object {
	copied := *l
	l.ListMeta.DeepCopyInto(&copied.ListMeta)
	copied.Items = make([]Nad, len(l.Items))
	for i := range l.Items {
		copied.Items[i] = *l.Items[i].deepCopy()
	}
	return &copied
}

// TableHeader implements statedb.TableWritable.
func (n *Nad) TableHeader() []string { return []string{"Namespace", "Name"} }

// TableRow implements statedb.TableWritable.
func (n *Nad) TableRow() []string { return []string{n.Namespace, n.Name} }

func (n *Nad) key() string { return n.Namespace + "/" + n.Name }

func newNad(i, n int) *Nad {
	groups := n / hits
	of := "other.default.ovn"
	if i < groups*hits {
		of = providerOf(i % groups)
	}
	config := fmt.Sprintf(`{"cniVersion":"0.3.1","type":"kube-ovn","vlan":%04d,"server_socket":"/run/openvswitch/daemon.sock","provider":"%s"}`, i%4096, of)
	nad := &Nad{Spec: NadSpec{Config: fmt.Sprintf("%-*s", configSize, config)}}
	nad.Namespace, nad.Name = key(i, "net")
	nad.UID = "00000000-0000-0000-0000-000000000000"
	nad.Labels = map[string]string{"app.kubernetes.io/managed-by": "tenant-operator", team: teamOf(i)}
	nad.Annotations = map[string]string{provider: of, resource: resourceOf(i)}
	nad.setVersion(1)
	return nad
}

func newNads(n int) []*Nad {
	nads := make([]*Nad, n)
	for i := range nads {
		nads[i] = newNad(i, n)
	}
	return nads
}

func (n *Nad) setVersion(version int) { n.ResourceVersion = fmt.Sprint(version) }

// setShift gives the ith of n objects other index keys than any shift before.
func (nad *Nad) setShift(i, n, shift int) {
	if shift == 0 {
		return
	}
	nad.Annotations[provider] = providerOf((i + shift) % (n / hits))
	nad.Annotations[resource] = resourceOf(i + shift)
	nad.Labels[team] = teamOf(i + shift)
}

func key(i int, kind string) (namespace, name string) {
	return fmt.Sprintf("tenant-%04d", i%97), fmt.Sprintf("%s-attach-definition-%09d", kind, i)
}

func providerOf(group int) string  { return fmt.Sprintf("net-%06d.default.ovn", group) }
func teamOf(number int) string     { return fmt.Sprintf("team-%d", number%31) }
func resourceOf(number int) string { return fmt.Sprintf("example.com/vf%d", number%7) }

// shuffled returns the numbers below n in the order of benches/nads.rs.
func shuffled(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	state := uint64(0x9e37_79b9_7f4a_7c15)
	for i := n - 1; i >= 1; i-- {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		j := int(state % uint64(i+1))
		numbers[i], numbers[j] = numbers[j], numbers[i]
	}
	return numbers
}

// The indexes, in the order in which benches/write.rs adds them.
var indexes = []struct {
	name string
	of   func(*Nad) string
}{
	{"provider", func(nad *Nad) string { return nad.Annotations[provider] }},
	{"team", func(nad *Nad) string { return nad.Labels[team] }},
	{"resource", func(nad *Nad) string { return nad.Annotations[resource] }},
	{"namespace", func(nad *Nad) string { return nad.Namespace }},
}

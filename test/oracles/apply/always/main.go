// Command always lists the fields that objects of the built-in types have whether or not anybody wrote them: structs held
// by value, and whatever is encoded even when it is zero. Run: go run ./always
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscaling "k8s.io/api/autoscaling/v1"
	batch "k8s.io/api/batch/v1"
	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
)

var out = map[string][]string{}
var seen = map[reflect.Type]bool{}

func name(t reflect.Type) string {
	p := t.PkgPath()
	p = strings.Replace(p, "k8s.io/api/", "io.k8s.api.", 1)
	p = strings.Replace(p, "k8s.io/apimachinery/", "io.k8s.apimachinery.", 1)
	return strings.ReplaceAll(p, "/", ".") + "." + t.Name()
}

var opaque = map[string]bool{"Time": true, "MicroTime": true, "Quantity": true, "IntOrString": true, "RawExtension": true, "FieldsV1": true, "Duration": true}

func visit(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || opaque[t.Name()] || seen[t] {
		return
	}
	seen[t] = true
	names := []string{}
	fields(t, &names)
	if len(names) > 0 {
		sort.Strings(names)
		out[name(t)] = names
	}
}

func fields(t reflect.Type, names *[]string) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		inline := f.Anonymous && tag[0] == ""
		if inline {
			e := f.Type
			for e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			fields(e, names)
			continue
		}
		visit(f.Type)
		empty, zero := false, false
		for _, o := range tag[1:] {
			empty, zero = empty || o == "omitempty", zero || o == "omitzero"
		}
		// omitempty leaves structs in, omitzero leaves none.
		kept := !zero && (!empty || f.Type.Kind() == reflect.Struct)
		if kept && tag[0] != "-" {
			*names = append(*names, tag[0])
		}
	}
}

func main() {
	for _, o := range []any{
		core.Pod{}, core.Node{}, core.Namespace{}, core.ConfigMap{}, core.Secret{}, core.ServiceAccount{}, core.Service{}, core.Event{}, core.Endpoints{}, core.PersistentVolume{}, core.PersistentVolumeClaim{},
		core.ReplicationController{}, core.ResourceQuota{}, core.LimitRange{}, core.PodTemplate{}, core.Binding{},
		apps.Deployment{}, apps.ReplicaSet{}, apps.DaemonSet{}, apps.StatefulSet{}, apps.ControllerRevision{}, batch.Job{}, batch.CronJob{},
		rbac.Role{}, rbac.ClusterRole{}, rbac.RoleBinding{}, rbac.ClusterRoleBinding{}, coordination.Lease{}, events.Event{}, discovery.EndpointSlice{},
		autoscaling.Scale{}, autoscaling.HorizontalPodAutoscaler{}, policy.PodDisruptionBudget{}, policy.Eviction{}, networking.NetworkPolicy{}, networking.Ingress{}, networking.IngressClass{},
		storage.StorageClass{}, storage.CSIDriver{}, storage.CSINode{}, storage.VolumeAttachment{}, scheduling.PriorityClass{}, certificates.CertificateSigningRequest{},
		authentication.TokenReview{}, authentication.TokenRequest{}, authorization.SubjectAccessReview{}, authorization.SelfSubjectAccessReview{},
		admissionregistration.MutatingWebhookConfiguration{}, admissionregistration.ValidatingWebhookConfiguration{},
	} {
		visit(reflect.TypeOf(o))
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	e.Encode(out)
}

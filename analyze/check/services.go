package check

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// checkServices is about what Services select, whatever the nodes' rules do.
func checkServices(s *scope) {
	for _, resource := range []string{"services", "pods"} {
		if err := s.env.IPCache.Missing(resource); err != nil {
			s.unknown("", "", "%s: %v", resource, err)
			return
		}
	}
	slices, err := s.snap.EndpointSlices()
	if err != nil {
		s.unknown("", "", "whether the endpoints of Services are ready: %v", err)
	}
	states := endpointStates(slices)
	for i := range s.services {
		svc := &s.services[i]
		if svc.Spec.Type == corev1.ServiceTypeExternalName || len(svc.Spec.Selector) == 0 {
			continue
		}
		s.selected(svc, states[svc.Namespace+"/"+svc.Name])
	}
}

// An endpointState is how many endpoints of a Service take packets, and the
// names of those that do not.
type endpointState struct {
	ready   int
	unready []string
}

func endpointStates(list []discoveryv1.EndpointSlice) map[string]endpointState {
	states := map[string]endpointState{}
	for i := range list {
		name := list[i].Namespace + "/" + list[i].Labels[discoveryv1.LabelServiceName]
		st := states[name]
		for j := range list[i].Endpoints {
			e := &list[i].Endpoints[j]
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				st.ready++
			} else if who := endpointName(e); !slices.Contains(st.unready, who) {
				st.unready = append(st.unready, who)
			}
		}
		states[name] = st
	}
	return states
}

func endpointName(e *discoveryv1.Endpoint) string {
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		return "pod " + e.TargetRef.Namespace + "/" + e.TargetRef.Name
	}
	return strings.Join(e.Addresses, ", ")
}

// selected reports a Service that selects no pod, or of whose endpoints some are
// not ready. That a pod is not ready is no fault of the network: its own probe
// says so.
func (s *scope) selected(svc *corev1.Service, st endpointState) {
	name := svc.Namespace + "/" + svc.Name
	selector := labels.SelectorFromValidatedSet(svc.Spec.Selector)
	matches := slices.ContainsFunc(s.env.IPCache.Pods(), func(p *corev1.Pod) bool {
		return p.Namespace == svc.Namespace && !ended(p) && selector.Matches(labels.Set(p.Labels))
	})
	if !matches {
		s.find("", model.Suspicion{Level: model.SuspicionLevelWarning, Code: "service/no-endpoints", Evidence: "cluster/services.yaml",
			Message: fmt.Sprintf("svc %s selects %s and no pod of namespace %s matches", name, selector, svc.Namespace),
			Remedy:  "Correct the selector of svc " + name + ", or start a pod that matches."})
		return
	}
	if len(st.unready) == 0 {
		return
	}
	slices.Sort(st.unready)
	left := fmt.Sprintf("%d others are ready", st.ready)
	if st.ready == 0 {
		left = "no other is ready, so that connections to it are refused"
	}
	s.find("", model.Suspicion{Level: model.SuspicionLevelInfo, Code: "service/unready-endpoints", Evidence: "cluster/endpointslices.yaml",
		Message: fmt.Sprintf("svc %s has endpoints that are not ready: %s; %s", name, several(st.unready), left),
		Remedy:  "Look at the readiness probes of these pods."})
}

// several joins up to three names and counts the rest.
func several(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

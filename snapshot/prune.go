package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Prune drops from obj what analysis does not need and a bundle must not
// carry: managedFields, the last-applied-configuration annotation, and the
// env values, commands and arguments of containers, in pods and in pod
// templates.
func Prune(obj *unstructured.Unstructured) { prune(obj.Object) }

func prune(obj map[string]any) {
	pruneMeta(obj)
	spec, _ := obj["spec"].(map[string]any)
	pruneContainers(spec)
	// DaemonSets and the like, CronJobs.
	if job, ok := spec["jobTemplate"].(map[string]any); ok {
		spec, _ = job["spec"].(map[string]any)
	}
	if template, ok := spec["template"].(map[string]any); ok {
		prune(template)
	}
}

func pruneMeta(obj map[string]any) {
	meta, ok := obj["metadata"].(map[string]any)
	if !ok {
		return
	}
	delete(meta, "managedFields")
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		delete(annotations, lastApplied)
		if len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
}

// pruneContainers drops what containers run and what their environment says.
func pruneContainers(spec map[string]any) {
	for _, kind := range []string{"initContainers", "containers", "ephemeralContainers"} {
		list, _ := spec[kind].([]any)
		for _, c := range list {
			if c, ok := c.(map[string]any); ok {
				pruneContainer(c)
			}
		}
	}
}

func pruneContainer(c map[string]any) {
	for _, key := range []string{"command", "args", "envFrom", "lifecycle"} {
		delete(c, key)
	}
	if env, ok := c["env"].([]any); ok {
		for i := range env {
			if e, ok := env[i].(map[string]any); ok {
				env[i] = map[string]any{"name": e["name"]}
			}
		}
	}
	for _, key := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		if probe, ok := c[key].(map[string]any); ok {
			delete(probe, "exec")
			if get, ok := probe["httpGet"].(map[string]any); ok {
				delete(get, "httpHeaders")
			}
		}
	}
}

// PrunePod is Prune for a typed pod.
func PrunePod(pod *corev1.Pod) {
	pod.ManagedFields = nil
	delete(pod.Annotations, lastApplied)
	for i := range pod.Spec.InitContainers {
		pruneTyped(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		pruneTyped(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.EphemeralContainers {
		c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		pruneTyped(&c)
		pod.Spec.EphemeralContainers[i].EphemeralContainerCommon = corev1.EphemeralContainerCommon(c)
	}
}

func pruneTyped(c *corev1.Container) {
	c.Command, c.Args, c.EnvFrom, c.Lifecycle = nil, nil, nil, nil
	for i := range c.Env {
		c.Env[i] = corev1.EnvVar{Name: c.Env[i].Name}
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if probe == nil {
			continue
		}
		probe.Exec = nil
		if probe.HTTPGet != nil {
			probe.HTTPGet.HTTPHeaders = nil
		}
	}
}

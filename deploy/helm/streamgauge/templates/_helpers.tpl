{{/* The name of the objects, at most 63 characters; some of them have a suffix of at most 13. */}}
{{- define "streamgauge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What it is called in labels. */}}
{{- define "streamgauge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 57 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes, and tells these pods from others. */}}
{{- define "streamgauge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "streamgauge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "streamgauge.labels" -}}
{{ include "streamgauge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "streamgauge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "streamgauge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "streamgauge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The name that the API server verifies the adapter by. */}}
{{- define "streamgauge.serverName" -}}
{{- printf "%s.%s.svc" (include "streamgauge.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The Secret with the adapter's certificate; empty where it is made at each start. */}}
{{- define "streamgauge.tlsSecret" -}}
{{- if .Values.adapter.enabled -}}
{{- if eq .Values.adapter.certificate.mode "secret" -}}
{{- .Values.adapter.certificate.secretName -}}
{{- else if ne .Values.adapter.certificate.mode "insecure" -}}
{{- include "streamgauge.fullname" . }}-tls
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The configuration file: that of the values, with the paths of mounted credentials in it. */}}
{{- define "streamgauge.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $credential := .Values.credentials -}}
{{- $found := false -}}
{{- range $server := $config.redis -}}
{{- if eq (toString $server.name) $credential.server -}}
{{- $found = true -}}
{{- $at := printf "/etc/streamgauge/secrets/%s/" $credential.server -}}
{{- if $credential.passwordKey }}{{ $_ := set $server "password_file" (print $at "password") }}{{ end -}}
{{- if $credential.usernameKey }}{{ $_ := set $server "username_file" (print $at "username") }}{{ end -}}
{{- $tls := default dict $server.tls -}}
{{- if $credential.caKey }}{{ $_ := set $tls "ca_file" (print $at "ca.crt") }}{{ end -}}
{{- if $credential.certKey }}{{ $_ := set $tls "cert_file" (print $at "tls.crt") }}{{ end -}}
{{- if $credential.keyKey }}{{ $_ := set $tls "key_file" (print $at "tls.key") }}{{ end -}}
{{- if $tls }}{{ $_ := set $server "tls" $tls }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- fail (printf "credentials: config.redis has no server with the name %q" $credential.server) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := dict "web.listen_address" (dig "web" "listen_address" "" $config) "kubernetes.listen_address" (dig "kubernetes" "listen_address" "" $config) "kubernetes.tls_cert_file" (dig "kubernetes" "tls_cert_file" "" $config) "kubernetes.tls_private_key_file" (dig "kubernetes" "tls_private_key_file" "" $config) -}}
{{- if $value -}}
{{- fail (printf "config.%s: leave it out: the chart says this itself, by adapter and service" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "shard" "total_shards" "pod" "pod_namespace" -}}
{{- if hasKey (default dict $config.sharding) $key -}}
{{- fail (printf "config.sharding.%s: leave it out: the chart says this itself, by sharding.enabled and replicaCount" $key) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What a running pod does not take up from a changed file. */}}
{{- define "streamgauge.restartOnly" -}}
{{- $kubernetes := omit (default dict .Values.config.kubernetes) "metrics" "objects" "streams" -}}
{{- toJson (dict "web" (default dict .Values.config.web) "kubernetes" $kubernetes "sharding" (default dict .Values.config.sharding)) -}}
{{- end -}}

{{/* The namespaces in which a role is bound are those of a list; without any, all. Takes root, role, namespaces. */}}
{{- define "streamgauge.bind" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- range $namespace := (default (list "") .namespaces) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (ne $namespace "") }}
metadata:
  name: {{ $role }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "streamgauge.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "streamgauge.serviceAccountName" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end -}}

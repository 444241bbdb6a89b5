{{/* What the pods of the Deployment and the one of `helm test` have in common. */}}

{{- define "streamgauge.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "streamgauge.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where things are. All else stands in the configuration file. */}}
{{- define "streamgauge.args" -}}
- --config.file=/etc/streamgauge/config/streamgauge.yaml
- --web.listen-address=:9121
{{- if .Values.adapter.enabled }}
- --kubernetes.listen-address=:6443
{{- if include "streamgauge.tlsSecret" . }}
- --kubernetes.tls-cert-file=/etc/streamgauge/tls/tls.crt
- --kubernetes.tls-private-key-file=/etc/streamgauge/tls/tls.key
{{- end }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Folders, never single files: those are not replaced when the volume changes. */}}
{{- define "streamgauge.volumeMounts" -}}
- name: config
  mountPath: /etc/streamgauge/config
  readOnly: true
{{- range .Values.credentials }}
- name: {{ include "streamgauge.credentialVolume" .server }}
  mountPath: /etc/streamgauge/secrets/{{ .server }}
  readOnly: true
{{- end }}
{{- if include "streamgauge.tlsSecret" . }}
- name: tls
  mountPath: /etc/streamgauge/tls
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "streamgauge.volumes" -}}
- name: config
  configMap:
    name: {{ include "streamgauge.fullname" . }}
{{- range $credential := .Values.credentials }}
- name: {{ include "streamgauge.credentialVolume" .server }}
  secret:
    secretName: {{ .secretName }}
    items:
      {{- range $key, $path := dict "passwordKey" "password" "usernameKey" "username" "caKey" "ca.crt" "certKey" "tls.crt" "keyKey" "tls.key" }}
      {{- with get $credential $key }}
      - {key: {{ . | quote }}, path: {{ $path }}}
      {{- end }}
      {{- end }}
{{- end }}
{{- with include "streamgauge.tlsSecret" . }}
- name: tls
  secret:
    secretName: {{ . }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A volume's name has lower-case letters, digits and dashes only; a server's has more. */}}
{{- define "streamgauge.credentialVolume" -}}
{{- if regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" . -}}
secret-{{ . }}
{{- else -}}
secret-{{ sha256sum . | trunc 16 }}
{{- end -}}
{{- end -}}

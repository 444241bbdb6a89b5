{{/* The APIs that are on, as JSON: {"items": [{"group", "version", "priority"}]}. */}}
{{- define "streamgauge.apis" -}}
{{- $items := list -}}
{{- if .Values.adapter.apiServices.external -}}
{{- $items = append $items (dict "group" "external.metrics.k8s.io" "version" "v1beta1" "priority" 100) -}}
{{- end -}}
{{- if .Values.adapter.apiServices.custom -}}
{{- $items = append $items (dict "group" "custom.metrics.k8s.io" "version" "v1beta2" "priority" 200) -}}
{{- $items = append $items (dict "group" "custom.metrics.k8s.io" "version" "v1beta1" "priority" 100) -}}
{{- end -}}
{{- toJson (dict "items" $items) -}}
{{- end -}}

{{/* Ends where an API has another server: it would lose it without a word. Takes root and name. */}}
{{- define "streamgauge.refuseToTakeOver" -}}
{{- with lookup "apiregistration.k8s.io/v1" "APIService" "" .name -}}
{{- $service := default dict .spec.service -}}
{{- $annotations := default dict .metadata.annotations -}}
{{- $owner := get $annotations "meta.helm.sh/release-name" -}}
{{- $ownerNamespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- $is := printf "the API of the APIService %s is served by %s in the namespace %s" $.name (default "nobody" $service.name) (default "-" $service.namespace) -}}
{{- $mend := "Leave it to that one: set adapter.apiServices.external or adapter.apiServices.custom to false, or adapter.apiServices.create=false; or remove it first. See https://github.com/streamgauge/streamgauge/blob/main/docs/kubernetes.md#beside-keda-or-another-adapter" -}}
{{- if and $owner (or (ne $owner $.root.Release.Name) (ne $ownerNamespace $.root.Release.Namespace)) -}}
{{- fail (printf "%s, and belongs to the release %s in %s. %s" $is $owner $ownerNamespace $mend) -}}
{{- end -}}
{{- if and (not $owner) (or (ne (default "" $service.name) (include "streamgauge.fullname" $.root)) (ne (default "" $service.namespace) $.root.Release.Namespace)) -}}
{{- fail (printf "%s, and does not belong to this release. %s" $is $mend) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
A certificate and its CA, as JSON: {"crt", "key", "ca", "expires", "for"}; what is in the cluster, as long as it is good.

A new one has a new CA. The one before stays believed beside it, until each pod has read the new certificate.
*/}}
{{- define "streamgauge.generated" -}}
{{- $name := include "streamgauge.fullname" . -}}
{{- $server := include "streamgauge.serverName" . -}}
{{- $settings := .Values.adapter.certificate.generated -}}
{{- $now := now | unixEpoch | int64 -}}
{{- $day := 86400 -}}
{{- $secret := default dict (lookup "v1" "Secret" .Release.Namespace (print $name "-tls")) -}}
{{- $data := default dict $secret.data -}}
{{- $annotations := default dict (default dict $secret.metadata).annotations -}}
{{- $old := dict "expires" (get $annotations "streamgauge.io/expires" | default "0") "for" (get $annotations "streamgauge.io/server-name") -}}
{{- range $field, $key := dict "crt" "tls.crt" "key" "tls.key" "ca" "ca.crt" -}}
{{- $_ := set $old $field (get $data $key | b64dec) -}}
{{- end -}}
{{- $left := sub (int64 $old.expires) $now -}}
{{- if and $old.crt $old.key $old.ca (eq (toString (get $old "for")) $server) (gt $left (mul $settings.renewBeforeDays $day)) -}}
{{- toJson $old -}}
{{- else -}}
{{- $ca := genCAWithKey (print $name "-ca") (int $settings.validDays) (genPrivateKey "ecdsa") -}}
{{- $names := list $server (print $server ".cluster.local") -}}
{{- $pair := genSignedCertWithKey $server nil $names (int $settings.validDays) $ca (genPrivateKey "ecdsa") -}}
{{- $before := regexFind "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----" $old.ca -}}
{{- $bundle := $ca.Cert -}}
{{- if $before -}}
{{- $bundle = printf "%s\n%s\n" (trim $ca.Cert) $before -}}
{{- end -}}
{{- $expires := add $now (mul $settings.validDays $day) | toString -}}
{{- toJson (dict "crt" $pair.Cert "key" $pair.Key "ca" $bundle "expires" $expires "for" $server) -}}
{{- end -}}
{{- end -}}

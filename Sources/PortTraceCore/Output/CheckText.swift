/// Writes a verdict for a person: the verdict first, then the culprit, then what to do; a finding fits into 80 by 24.
struct CheckText {
    /// An owner's name, safe to print.
    let name: (HolderOwner) -> String

    private static let width = 80
    private static let mostFindings = 5
    private static let mostSentences = 4
    private static let mostFixes = 2
    private static let mostRemarks = 5

    func append(_ diagnosis: NodeDiagnosis, to output: inout OutputBuffer) {
        for line in diagnosis.headline { writeWhole(line, indent: "", to: &output) }
        for (index, finding) in diagnosis.findings.prefix(CheckText.mostFindings).enumerated() {
            if index > 0 {
                output.append(byte: UInt8(ascii: "\n"))
                write("\(finding.severity.rawValue): \(finding.summary)", indent: "", to: &output)
            }
            append(finding, to: &output)
        }
        let rest = diagnosis.findings.dropFirst(CheckText.mostFindings).count
        if rest > 0 { write("and \(rest) more findings: porttrace check -o json", indent: "", to: &output) }
        append(diagnosis.remarks, "note", to: &output)
        append(diagnosis.notVisible, "not visible", to: &output)
    }

    private func append(_ finding: Finding, to output: inout OutputBuffer) {
        let isRacing = finding.areCulpritsRacing
        let (verb, whole) = isRacing ? ("sent", finding.failures) : ("holds", finding.occupancy.used)
        if let line = CheckText.largest(finding.culprits, "culprit: ", verb, of: whole, name) {
            write(line, indent: "", to: &output)
        } else if finding.isMeasured, finding.occupancy.used > 0 {
            write(CheckText.nobody(finding.occupancy), indent: "", to: &output)
        }
        if let line = CheckText.largest(finding.victims, "refused: ", "failed", of: finding.failures, name) {
            write(line, indent: "", to: &output)
        }
        for sentence in finding.evidence.prefix(CheckText.mostSentences) {
            write(sentence, indent: "- ", to: &output)
        }
        append(finding.fixes, .now, to: &output)
        append(finding.fixes, .later, to: &output)
    }

    private func append(_ fixes: [Fix], _ time: Fix.Time, to output: inout OutputBuffer) {
        for fix in fixes.lazy.filter({ $0.when == time }).prefix(CheckText.mostFixes) {
            write(fix.why, indent: time == .now ? "now: " : "later: ", to: &output)
            guard time == .now else { continue }
            if let command = fix.command { writeWhole(command, indent: "    ", to: &output) }
            write(fix.risk, indent: "  risk: ", to: &output)
            if let persist = fix.persist { write(persist, indent: "  keep: ", to: &output) }
        }
    }

    private func append(_ sentences: [String], _ title: String, to output: inout OutputBuffer) {
        for sentence in sentences.prefix(CheckText.mostRemarks) { write(sentence, indent: "\(title): ", to: &output) }
        if sentences.count > CheckText.mostRemarks {
            write(
                "\(sentences.count - CheckText.mostRemarks) more: porttrace check -o json",
                indent: "\(title): "
                    + "", to: &output)
        }
    }

    /// `culprit: shop/web nginx[4711] holds 230 (98%); shop/cart holds 4 (1%)`: the first two that are known.
    private static func largest(
        _ holders: [Holder], _ title: String, _ verb: String, of whole: UInt64, _ name: (HolderOwner) -> String
    ) -> String? {
        let parts = holders.prefix(2).map { holder in
            "\(name(holder.owner)) \(verb) \(CheckWords.number(holder.count)) "
                + "(\(CheckWords.percent(holder.count, of: whole)))"
                + (holder.isInferred ? ", inferred" : "")
        }
        return parts.isEmpty ? nil : title + parts.joined(separator: "; ")
    }

    private static func nobody(_ occupancy: Occupancy) -> String {
        let old = (occupancy.timeWait ?? 0) > 0
        return "culprit: not known" + (old ? ": TIME_WAIT sockets of before this run have no owner" : "")
    }

    // MARK: Lines

    /// A sentence in lines of 80 columns at most, broken at spaces; what follows stands under its beginning.
    ///
    /// Names come escaped, and are escaped once more for one who forgot to: what is safe already stays as it is.
    private func write(_ sentence: String, indent: String, to output: inout OutputBuffer) {
        let words = TerminalText(escaping: Array(sentence.utf8)).string.split(separator: " ")
        let margin = String(repeating: " ", count: indent.utf8.count)
        var line = indent
        var isEmpty = true
        for word in words {
            if !isEmpty, line.unicodeScalars.count + 1 + word.unicodeScalars.count > CheckText.width {
                writeLine(line, to: &output)
                line = margin
                isEmpty = true
            }
            if !isEmpty { line += " " }
            line += word
            isEmpty = false
        }
        writeLine(line, to: &output)
    }

    /// A command in one line, so that it can be pasted; the verdict, so that the first line has all of it.
    private func writeWhole(_ command: String, indent: String, to output: inout OutputBuffer) {
        writeLine(indent + TerminalText(escaping: Array(command.utf8)).string, to: &output)
    }

    private func writeLine(_ line: String, to output: inout OutputBuffer) {
        output.append(Array(line.utf8))
        output.append(byte: UInt8(ascii: "\n"))
    }
}
